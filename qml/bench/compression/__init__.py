"""The study of compression: what each method of `classical` saves, and what it costs."""
