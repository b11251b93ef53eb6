//! Single operations in one process, in nanoseconds.

use crate::options::Options;
use crate::summary::Report;

pub fn run(_options: &Options, _report: &mut Report) {}
