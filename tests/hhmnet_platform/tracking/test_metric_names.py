from hhmnet_platform.tracking.metric_names import tracked_metrics


def test_best_value_is_beside_its_metric_and_under_its_earlier_name() -> None:
    metrics = {"val/top1": 0.4, "best/val_top1": 0.5, "best/epoch": 2.0}
    assert tracked_metrics(metrics) == metrics | {"val/top1_best": 0.5}


def test_tables_and_weights_are_no_metrics() -> None:
    metrics = {"similarity/head/torso": 0.4, "fitted/weight/joint": 0.5, "fitted/val_top1": 0.6}
    assert tracked_metrics(metrics) == {"fitted/val_top1": 0.6}
