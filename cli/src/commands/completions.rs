//! `starling completions`

use clap::Args;
use clap_complete::Shell;

use crate::args;
use crate::failure::Outcome;
use crate::output::Output;
use starling_api::ExitCode as Exit;

/// Print a completion script for your shell.
#[derive(Debug, Args)]
#[command(
    after_help = "bash: starling completions bash > ~/.local/share/bash-completion/completions/starling\n\
zsh:  starling completions zsh > ~/.zfunc/_starling\n\
fish: starling completions fish > ~/.config/fish/completions/starling.fish"
)]
pub(crate) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs, out: &mut Output) -> Outcome {
    // Written to memory first: the generator panics on a closed pipe.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "starling", &mut script);
    out.text(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Done)
}
