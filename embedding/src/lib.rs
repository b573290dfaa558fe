//! Text to a unit vector, on this machine.
