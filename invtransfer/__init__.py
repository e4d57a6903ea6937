"""What is a representation invariant to, and does that help?"""
