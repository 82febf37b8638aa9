"""Encoders: ST&ST and its two parts, RE-DMT over joints and SK-TC over frames."""
