//! The shipped list, and lists that are refused.
