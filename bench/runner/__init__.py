"""The benchmark: mail servers, a load and a sink on one machine, measured in turns. Standard library only."""
