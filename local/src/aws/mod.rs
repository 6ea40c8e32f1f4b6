//! The parts of AWS that call the functions and that the functions call.

pub mod api_gateway;
pub mod dynamodb;
pub mod json_api;
pub mod lambda;
pub mod lambda_account;
mod response;
pub mod secrets_manager;
