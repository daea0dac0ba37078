"""Media facts: what a sealed recording is, found out by the ffmpeg commands in a caged child process."""
