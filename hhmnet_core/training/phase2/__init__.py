"""Phase 2: a video network under the guidance of a frozen skeleton encoder."""
