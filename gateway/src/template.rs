//! Renders prompt templates into calls.
//!
//! Templates are stored and used from a later version on; until then a call is its own rendering.

use types::call::Call;

/// The call with its template's text in place.
pub(crate) fn render(call: Call) -> Call {
    call
}
