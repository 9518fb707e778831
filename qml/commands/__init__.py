"""Commands of the command line that are more than the main job."""
