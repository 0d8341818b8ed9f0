//! The console by its HTTP face, on a store of its own for each test.

mod browser;
mod demo;
mod pages;
mod purchase;
mod sign_in;
#[path = "../world/mod.rs"]
mod world;
