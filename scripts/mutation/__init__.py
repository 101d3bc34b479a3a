"""Mutation testing of the C++ sources. scripts/mutate.sh is the program, and its comment explains how to use it."""
