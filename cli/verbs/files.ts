/** The verbs that look into a restore point: volumes, ls, cat, get, find, versions. */
import type { Command } from "commander";
import { Option } from "commander";
import type { FindFlags } from "../actions/find-files.ts";
import type { GetFlags } from "../actions/get-files.ts";
import { byteSize, instant, wholeNumber } from "../parse.ts";
import type { Cli } from "../verb.ts";
import { example } from "../verb.ts";

const place = "VM[@POINT]:VOLUME:PATH";

export function addFileVerbs(program: Command, cli: Cli): void {
  program
    .command("volumes")
    .argument("<vm[@point]>", "a VM, and the id of a restore point (default: the latest)")
    .summary("what lies on the disks of a restore point")
    .description("Lists the partitions, arrays, logical volumes and file systems on all disks of a restore point.")
    .addHelpText("after", example("farside volumes web1", "farside volumes web1@01M7YHYXK06QW0SEJP83TBN2RS --json"))
    .action((text: string, _options: unknown, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/list-volumes.ts")).volumes(verb, text)),
    );
  program
    .command("ls")
    .argument("<place>", "VM[@POINT]:VOLUME[:PATH]")
    .summary("list files inside a restore point")
    .description('Lists a folder inside a restore point. VOLUME is a name that "farside volumes" prints.')
    .option("-r, --recursive", "all folders below too")
    .addHelpText("after", example("farside ls web1:os/p1:/etc", "farside ls -r web1:lvm/data/www --json"))
    .action((text: string, options: { recursive?: true }, command: Command) =>
      cli.run(command, async (verb) =>
        (await import("../actions/list-files.ts")).ls(verb, text, options.recursive === true),
      ),
    );
  program
    .command("cat")
    .argument("<place>", place)
    .summary("a file's content on standard output")
    .description("Writes a file from inside a restore point to standard output.")
    .option("--offset <bytes>", "begin at this byte", wholeNumber)
    .option("--length <bytes>", "at most so many bytes", byteSize)
    .addHelpText("after", example("farside cat web1:os/p1:/etc/fstab"))
    .action((text: string, options: { offset?: number; length?: number }, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/read-file.ts")).cat(verb, text, options)),
    );
  addGetVerb(program, cli);
  addFindVerb(program, cli);
  program
    .command("versions")
    .argument("<place>", "VM:VOLUME:PATH")
    .summary("in which restore points a file differs")
    .description("Compares a file over all restore points of a VM, by the ids of its chunks: its content is not read.")
    .option("--read-data", "read and compare the bytes where the ids leave it open")
    .addHelpText("after", example("farside versions web1:os/p1:/etc/passwd"))
    .action((text: string, options: { readData?: true }, command: Command) =>
      cli.run(command, async (verb) =>
        (await import("../actions/file-versions.ts")).versions(verb, text, options.readData === true),
      ),
    );
}

function addGetVerb(program: Command, cli: Cli): void {
  program
    .command("get")
    .argument("<place>", place)
    .argument("[dest]", "a folder, or the name of the file or folder to make (default: here)")
    .summary("take a file or folder out of a restore point")
    .description(
      "Takes a file or a folder out of a restore point: to this machine, or as a tar or zip archive to standard output. Nothing that exists is replaced unless that is asked for, and nothing is written outside of the destination.",
    )
    .addOption(new Option("--tar", "a tar archive to standard output").conflicts(["zip", "json"]))
    .addOption(new Option("--zip", "a zip archive to standard output").conflicts(["tar", "json"]))
    .option("--overwrite", "replace files that exist")
    .option("--owners", "give files their owners and groups, by number (root only)")
    .option("--xattrs", "set extended attributes, by setfattr")
    .option("--preserve-special", "keep set-user-id and set-group-id bits")
    .addHelpText(
      "after",
      example(
        "farside get web1:os/p1:/etc/nginx restored",
        "farside get web1:data/p1:/srv --tar | tar -x -C restored",
        "farside get web1@01M7YHYXK06QW0SEJP83TBN2RS:os/p3:/Users/ann/report.docx",
      ),
    )
    .action((text: string, dest: string | undefined, options: GetFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/get-files.ts")).get(verb, text, dest, options)),
    );
}

function addFindVerb(program: Command, cli: Cli): void {
  program
    .command("find")
    .argument("<place>", "VM[@POINT]:VOLUME")
    .argument("<pattern>", "of the name; with a / in it, of the path: *, ?, [a-z], ** for folders too")
    .summary("find files inside a restore point")
    .description("Finds files inside a restore point by name or path.")
    .addOption(new Option("--type <type>", "f: files, d: folders, l: links").choices(["f", "d", "l"]))
    .addOption(new Option("--newer <time>", "modified after this time").argParser(instant))
    .addOption(new Option("--larger <size>", "longer than this").argParser(byteSize))
    .option("--ignore-case", "capital and small letters alike")
    .addHelpText(
      "after",
      example("farside find web1:os/p1 '*.conf'", "farside find web1:os/p1 '/home/**/*.docx' --newer 2026-11-01"),
    )
    .action((text: string, pattern: string, options: FindFlags, command: Command) =>
      cli.run(command, async (verb) => (await import("../actions/find-files.ts")).find(verb, text, pattern, options)),
    );
}
