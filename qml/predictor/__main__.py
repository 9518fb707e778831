"""``python -m qml.predictor train FOLDER``."""

from qml.predictor.commands import app

app(prog_name="python -m qml.predictor")
