"""QuEst: a graph transformer that predicts how well a compiled circuit survives a device's noise.

Wang et al., arXiv:2210.16724. `predict_success` needs no simulation, so it takes circuits of any
width; `python -m qml.predictor train FOLDER` makes its circuits, simulates them and trains it anew.
"""
