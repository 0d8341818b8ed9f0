//! The console by its HTTP face, on a store of its own for each test.

mod billing;
mod browser;
mod by_hand;
mod change;
mod demo;
mod messages;
mod operator;
mod pages;
mod purchase;
mod reputation;
mod sign_in;
mod words;
#[path = "../world/mod.rs"]
mod world;
