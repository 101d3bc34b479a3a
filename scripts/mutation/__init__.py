"""Mutation testing of the C++ sources; scripts/mutate.sh is the program and tells how it is used."""
