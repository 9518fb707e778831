"""The main job of the command line: stages over a run folder, and its report."""
