//! `starling man`

use std::path::PathBuf;

use clap::Args;

use crate::args;
use crate::failure::{Failure, Outcome};
use crate::output::Output;
use starling_api::ExitCode as Exit;

/// Write the manual pages of every command into a directory.
#[derive(Debug, Args)]
#[command(after_help = "starling man ~/.local/share/man/man1 && man starling-up")]
pub(crate) struct ManArgs {
    /// The directory, made if need be; pages of the same names in it are replaced.
    dir: PathBuf,
}

pub(crate) fn run(args: &ManArgs, out: &mut Output) -> Outcome {
    let refused = |error: &std::io::Error| {
        Failure::failed(format!("the manual pages cannot be written into {}", args.dir.display()))
            .caused_by(error)
    };
    std::fs::create_dir_all(&args.dir).map_err(|error| refused(&error))?;
    let mut command = args::command();
    command.build();
    let pages = pages(&command)?;
    for (file, page) in &pages {
        std::fs::write(args.dir.join(file), page).map_err(|error| refused(&error))?;
        if out.is_json() {
            out.json_line(&serde_json::json!({ "file": args.dir.join(file) }))?;
        } else {
            out.line(&args.dir.join(file).display().to_string())?;
        }
    }
    Ok(Exit::Done)
}

/// The page of a command and those of the commands below it, under their file names.
fn pages(command: &clap::Command) -> Result<Vec<(String, Vec<u8>)>, Failure> {
    let mut pages = Vec::new();
    let page = clap_mangen::Man::new(command.clone());
    let mut text = Vec::new();
    page.render(&mut text)
        .map_err(|error| Failure::failed("a manual page cannot be made").caused_by(&error))?;
    pages.push((page.get_filename(), text));
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        pages.extend(self::pages(below)?);
    }
    Ok(pages)
}
