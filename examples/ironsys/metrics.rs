//! `/metrics`: the same numbers for Prometheus.

use crate::app::App;

pub(crate) fn text(app: &App) -> String {
    format!("{}\n", crate::view::state(app))
}
