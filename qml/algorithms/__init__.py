"""The algorithms of the field, each a function or a module on circuits that train as any other."""
