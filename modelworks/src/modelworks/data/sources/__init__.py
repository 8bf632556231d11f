"""Where rows come from: files, SQL databases, or a function of the project."""
