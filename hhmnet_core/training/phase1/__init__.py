"""Phase 1: one encoder for each skeletal modality, tied by contrastive learning."""
