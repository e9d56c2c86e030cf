/** Completion scripts, made from the grammar itself. They complete verbs and options; values are the shell's own file names. */
import type { Command } from "commander";
import type { Verb } from "./verb.ts";

interface Place {
  /** The verbs so far, "vm protect"; empty at the start. */
  readonly path: string;
  readonly words: readonly string[];
}

export async function completion(verb: Verb, program: Command, shell: string): Promise<void> {
  const places = placesOf(program, [], globalWords(program));
  const script = shell === "bash" ? bash(places) : shell === "zsh" ? zsh(places) : fish(places);
  verb.shell.out(script);
  await Promise.resolve();
}

function globalWords(program: Command): readonly string[] {
  return program.options.flatMap((option) => (option.long === undefined || option.long === null ? [] : [option.long]));
}

function placesOf(command: Command, path: readonly string[], global: readonly string[]): readonly Place[] {
  const own = command.options.flatMap((option) => (typeof option.long === "string" ? [option.long] : []));
  const verbs = command.commands.map((one) => one.name());
  const words = [...new Set([...verbs, ...own, ...global, "--help"])];
  return [
    { path: path.join(" "), words },
    ...command.commands.flatMap((one) => placesOf(one, [...path, one.name()], global)),
  ];
}

/** The longest known path that the words so far begin with. */
function bash(places: readonly Place[]): string {
  const cases = places.map(({ path, words }) => `    "${path}") words="${words.join(" ")}" ;;`).join("\n");
  return `# bash completion for farside
_farside_words() {
  case "$1" in
${cases}
    *) return 1 ;;
  esac
}
_farside() {
  local current="\${COMP_WORDS[COMP_CWORD]}" path="" word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    _farside_words "\${path:+$path }$word" && path="\${path:+$path }$word" || break
  done
  _farside_words "$path"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _farside farside ./farside
`;
}

function zsh(places: readonly Place[]): string {
  return `#compdef farside\nautoload -U +X bashcompinit && bashcompinit\n${bash(places)}`;
}

function fish(places: readonly Place[]): string {
  const lines = places.flatMap(({ path, words }) => {
    const verbs = path === "" ? [] : path.split(" ");
    const seen = verbs.map((word) => `__fish_seen_subcommand_from ${word}`).join("; and ");
    const below = words.filter((word) => !word.startsWith("-"));
    const none = below.length > 0 ? `not __fish_seen_subcommand_from ${below.join(" ")}` : "";
    const condition = [seen, none].filter((part) => part !== "").join("; and ");
    return words.map((word) =>
      word.startsWith("--")
        ? `complete -c farside -n "${condition}" -l ${word.slice(2)}`
        : `complete -c farside -f -n "${condition}" -a ${word}`,
    );
  });
  return `# fish completion for farside\n${lines.join("\n")}\n`;
}
