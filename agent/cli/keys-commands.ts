/** `keys` and what it offers. */
import { Option, type Command } from 'commander';
import { HOSTS } from '../../protocol/messages.ts';
import { createKeyFor, revokeKeyOf, rotateKeyOf, type CreateOptions, type RevokeOptions, type RotateOptions } from './keys-changes.ts';
import { listKeys } from './keys.ts';
import { exit, listing, type WithConfig } from './options.ts';
import { readConfig } from './configuration.ts';

/** Long enough to push new stubs by hand into every pod. */
const OVERLAP = '7d';

export function addKeys(program: Command): void {
  const keys = program.command('keys').description('the keys that stubs carry: who may call what').addHelpText('after', EXAMPLES);
  listing(keys.command('list').description('all keys with what they may call and when they were used last; never a secret')).action(
    ({ config, ...options }: WithConfig & { json?: boolean }) => listKeys(readConfig(config), options),
  );
  changing(keys.command('create <id>').description('a new key; its secret goes into keys.yaml and, by the command stub, into its stub'))
    .option('--scripts <glob...>', 'the scripts that it may call: close-*, checkpoint/**, event for tasks (default: all)')
    .option('--networks <cidr...>', 'from where: 10.1.0.0/16, 2001:db8::/32 (default: anywhere)')
    .addOption(new Option('--hosts <host...>', 'for which systems (default: all)').choices([...HOSTS]))
    .option('--events <event...>', 'at which events: CLOSE TEST (default: all)')
    .option('--expires <when>', 'a date, or from now on: 2027-01-31, 90d (default: never)')
    .option('--description <text>', 'for those who read the list')
    .option('--show-secret', "print the secret, this once: for Check Point's Web Request")
    .action(async (id: string, { config, ...options }: WithConfig & CreateOptions) =>
      exit(await createKeyFor(readConfig(config), id, options)),
    );
  changing(keys.command('rotate <key>').description('a new secret; stubs with the old one work on for a while'))
    .option('--overlap <duration>', 'for so long', OVERLAP)
    .option('--show-secret', "print the new secret, this once: for Check Point's Web Request")
    .action(async (id: string, { config, ...options }: WithConfig & RotateOptions) =>
      exit(await rotateKeyOf(readConfig(config), id, options)),
    );
  changing(keys.command('revoke <key>').description('the key is refused from now on; runs that it began go on'))
    .option('--previous', 'only secrets that a rotation has replaced')
    .action(async (id: string, { config, ...options }: WithConfig & RevokeOptions) =>
      exit(await revokeKeyOf(readConfig(config), id, options)),
    );
}

/** All of them bring the change into force. */
function changing(command: Command): Command {
  return listing(command).option('--no-reload', 'leave it to you when the front of an installed agent takes the change');
}

const EXAMPLES = `
A key for one script, from one network, for a year:
  mediator-agent keys create close-pod --scripts close-ticket --networks 10.244.0.0/16 --expires 365d
  mediator-agent stub --key close-pod --script close-ticket --host securechange --output close-ticket.sh

A new secret at noon, without a call that fails:
  mediator-agent keys rotate close-pod      # then make and push the new stub; the old one works meanwhile
  mediator-agent keys list                  # until nobody uses the replaced secret any more
  mediator-agent keys revoke close-pod --previous`;
