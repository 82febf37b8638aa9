"""BlazePose (Bazarevsky et al., 2020, arXiv:2006.10204) for several people, without MediaPipe.

The two networks are MediaPipe's, run by LiteRT; what is done before and after them follows the
graphs and calculators that MediaPipe publishes (github.com/google-ai-edge/mediapipe, Apache 2.0),
named in each module. Unlike MediaPipe's graph, every detected person is kept, and joints are not
smoothed over time.
"""
