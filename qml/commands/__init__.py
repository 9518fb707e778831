"""Commands of ``qml``, by topic; `qml.cli` registers them."""
