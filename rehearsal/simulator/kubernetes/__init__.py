"""The API server and what belongs to every cluster: schemas, admission, controllers, Helm, nodes."""
