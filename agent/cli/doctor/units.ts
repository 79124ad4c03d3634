/** What systemd says of the two units, where they were installed for this configuration. */
import type { Config } from '../../config/config.ts';
import { runTool } from '../../process/execute.ts';
import { fail, ok, warn, type Finding } from '../findings.ts';

const UNITS = ['mediator-runner', 'mediator-front'] as const;
const WANTED = 'LoadState,ActiveState,SubState,UnitFileState,NeedDaemonReload,NRestarts,StatusText,ExecStart,Delegate';

/** @param mended whether the files have no fault by now: a unit does not forget that a reload has failed */
export async function examineUnits({ file }: Pick<Config, 'file'>, mended: boolean): Promise<Finding[]> {
  const findings = await Promise.all(UNITS.map((unit) => examineUnit(unit, file, mended)));
  const known = findings.flat();
  return known.length > 0 ? known : [ok('units', `systemd starts nothing with ${file}`)];
}

async function examineUnit(unit: (typeof UNITS)[number], file: string, mended: boolean): Promise<Finding[]> {
  const known = await unitOf(unit, file);
  if (known === undefined) return [];
  const { ActiveState, SubState, ...rest } = known;
  const status = rest.StatusText ?? '';
  if (ActiveState !== 'active')
    return [
      fail(
        unit,
        `is ${ActiveState ?? 'in no state'} (${SubState ?? ''}); journalctl -u ${unit} -n 20 says why, then: systemctl restart ${unit}`,
      ),
    ];
  if (status.includes('reload failed') && !mended) return [fail(unit, status)];
  if (status.includes('reload failed'))
    return [
      warn(unit, `${status}. The files have no fault by now; run: systemctl reload ${unit}, and they are in force, or it says why not`),
    ];
  if (rest.NeedDaemonReload === 'yes') return [warn(unit, 'its unit file has changed; run: systemctl daemon-reload, and restart it')];
  if (rest.UnitFileState === 'disabled') return [warn(unit, `runs, and will not after a boot; run: systemctl enable ${unit}`)];
  const remarks = [
    rest.NRestarts === '0' ? 'active' : `active; systemd has started it again ${rest.NRestarts ?? '?'} times`,
    ...(rest.Delegate === 'yes' ? ['control group delegated'] : []),
    ...(status === '' ? [] : [status]),
  ];
  return [ok(unit, remarks.join('; '))];
}

/** What systemd says of a unit. Undefined if there is none, or it is another installation's. @param file agent.yaml */
export async function unitOf(unit: (typeof UNITS)[number], file: string): Promise<Partial<Record<string, string>> | undefined> {
  const said = properties(await runTool('systemctl', ['show', `--property=${WANTED}`, unit]).catch(() => ''));
  return said.LoadState === 'loaded' && said.ExecStart?.includes(`--config ${file} `) === true ? said : undefined;
}

/** `NAME=VALUE` a line, as `systemctl show` and `timedatectl show` print them. */
export function properties(text: string): Partial<Record<string, string>> {
  const lines = text.split('\n').filter((line) => line.includes('='));
  return Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}
