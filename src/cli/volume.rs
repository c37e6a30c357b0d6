//! `tinydock volume`
