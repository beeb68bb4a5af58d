"""A trained network in other hands: written as a graph that needs none of this code, or answering over HTTP."""
