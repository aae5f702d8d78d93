"""Servers on loopback that stand in for the services that the functions call."""
