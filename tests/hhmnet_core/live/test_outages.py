"""An outage is told once, and so is its end."""

from hhmnet_core.live.outages import Outages


def test_a_stall_is_told_once_and_its_end_too() -> None:
    outages = Outages(0.0)
    assert outages.image(0.04) is None
    assert outages.check(5.0) is None
    assert outages.check(5.05) == "The source has sent no image for 5 s."
    assert outages.check(9.0) is None
    assert outages.lost("it has ended") is None
    assert outages.image(12.54) == "The source sends images again, after 12.5 s."
    assert outages.image(12.58) is None


def test_a_loss_is_told_once_with_its_reason() -> None:
    outages = Outages(0.0)
    line = outages.lost("it has ended")
    assert line and "lost: it has ended" in line and "\n" not in line
    assert outages.check(60.0) is None and outages.lost("connection refused") is None
    assert outages.image(61.0) == "The source sends images again, after 61.0 s."
    assert outages.lost("it has ended") == line
