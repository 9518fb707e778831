"""Studies of the methods side by side, over tasks, devices and seeds: `qml bench`."""
