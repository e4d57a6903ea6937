"""The paper's protocol, its tasks and claims, and what its studies share."""
