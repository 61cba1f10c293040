"""What runs the pods of a graph, and what keeps them from running: the Dynamo operator, KAI, the scheduler, NICs."""
