/** The page as people use it: a real Chromium, a real agent, its pictures looked at by people (SCREENSHOTS=FOLDER). */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import { chromium, type Browser, type Page } from 'playwright-core';
import { startAgent, type TestAgent } from '../helpers/agent.ts';
import { keptFunction } from '../helpers/kept.ts';
import { dial, invoke, startMessage } from '../helpers/stub.ts';
import { until } from '../helpers/wait.ts';

const FLAGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync';
const EVIL = '<img src=x onerror="document.title=1"><script>document.title=1</script>';
const TICKET = `<ticket_info><id>4711</id><subject>&lt;b&gt;evil&lt;/b&gt;</subject></ticket_info>`;
const pictures = process.env.SCREENSHOTS;

suite('the page', { timeout: 170_000 }, () => {
  let agent: TestAgent;
  let browser: Browser;
  let page: Page;
  const faults: string[] = [];

  before(async () => {
    agent = await startAgent();
    agent.script(
      'evil.sh',
      `#!/bin/bash\nprintf '%s\\n' ${JSON.stringify(EVIL).replaceAll('$', '\\$')}\nprintf '\\e[31mred\\e[0m\\e]0;title\\a\\e[2J\\u202egnp.exe\\0'\necho oops >&2\nexit 3\n`,
      {
        manifest: `description: ${JSON.stringify(EVIL)}\ntimeout: 90s\nlimits: { memory: 512MB }\n`,
      },
    );
    agent.script('close-ticket.sh', '#!/bin/bash\ncat >/dev/null\necho "ticket closed"\n');
    agent.script('slow.sh', `#!/bin/bash\necho first\nuntil [ -e ${agent.dir}/go ]; do sleep 0.05; done\necho second\n`);
    // Goes on when what it printed is in the spool, and to its second half when the test says so.
    agent.script(
      'mixed.sh',
      `#!/bin/bash
      ${keptFunction(agent.state)}
      echo 'reading ticket 4711'; kept stdout 20
      echo 'no risk profile' >&2; echo 'default taken' >&2; kept stderr 30
      printf 'rule 1 … '; kept stdout 31
      until [ -e ${agent.dir}/on ]; do sleep 0.01; done
      printf 'in vain' >&2; kept stderr 37
      echo ', rule 2 done'
      `,
    );
    agent.script(
      'much.sh',
      `#!/bin/bash
      ${keptFunction(agent.state)}
      echo early >&2; kept stderr 6
      yes 0123456789012345678901234567890123456789012345678 | head -n 20000; kept stdout 1000000
      echo late >&2
      [ -z "$1" ] || until [ -e ${agent.dir}/more ]; do sleep 0.05; done
      [ -z "$1" ] || yes 0123456789012345678901234567890123456789012345678 | head -n 20000
      `,
    );
    agent.script('wait.sh', '#!/bin/bash\necho waiting\nexec sleep 600\n');
    writeFileSync(path.join(agent.scripts, 'bad.task.yaml'), 'name: Bad\ntrigger: Never\naction: {}\ncolour: red\n', { mode: 0o644 });
    agent.script('broken.py', '#!/usr/bin/no-such-python\n');
    browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args: FLAGS.split(' ') });
    page = await (await browser.newContext({ viewport: { width: 1200, height: 900 } })).newPage();
    page.on('pageerror', (error) => faults.push(error.message));
    page.on('console', (message) => {
      if (message.type() === 'error' && !/status of 40[0-9]/.test(message.text())) faults.push(message.text());
    });
    page.on('dialog', (dialog) => void dialog.accept());
  });
  after(async () => {
    await browser.close();
    await agent.close();
  });

  const token = (): string => readFileSync(path.join(agent.dir, 'admin-token'), 'utf8').trim();
  async function picture(name: string): Promise<void> {
    if (pictures === undefined) return;
    mkdirSync(pictures, { recursive: true });
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: path.join(pictures, `${name}-${colorScheme}.png`) });
    }
  }
  async function begin(script: string, args: string[] = []): Promise<string> {
    const call = await dial(agent);
    call.send(startMessage({ script, args }));
    call.send({ type: 'end', stdin: 0 });
    return call.accepted();
  }

  test('lets nobody in without the token, and says why', async () => {
    await page.goto(agent.urls.http);
    await picture('login');
    await page.getByLabel('Token').fill('wrong');
    await page.keyboard.press('Enter');
    await page.getByText('this is not the token').waitFor();
    assert.equal(await page.getByRole('table').count(), 0);
  });

  test('is opened by the token, and by the keyboard alone', async () => {
    await page.getByLabel('Token').fill(token());
    await page.keyboard.press('Enter');
    await page.getByText('No runs here.').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Tab');
    await page.getByRole('link', { name: 'scripts' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Scripts' }).waitFor();
    await page.goBack();
  });

  test('lists a run by itself as it comes, and finds it by its ticket', async () => {
    await invoke(agent, { script: 'close-ticket', host: 'securechange', env: { SCW_EVENT: 'CLOSE' } }, { stdin: Buffer.from(TICKET) });
    await page.getByRole('cell', { name: 'close-ticket.sh' }).waitFor();
    await invoke(agent, { script: 'evil' });
    await page.getByRole('cell', { name: 'evil.sh' }).waitFor();
    await page.getByLabel('ticket').fill('4711');
    await page.keyboard.press('Enter');
    await until('only the run of the ticket is shown', async () => (await page.locator('table.runs tbody tr').count()) === 1);
    await page.getByRole('link', { name: '4711' }).waitFor();
    await picture('ticket');
    await page.getByRole('link', { name: 'All' }).click();
  });

  test('shows what was refused where the runs are, and nothing of it runs', async () => {
    assert.equal(await page.locator('.refused').count(), 0);
    await invoke(agent, { script: `no/${EVIL}`, host: 'securechange' }, { stdin: Buffer.from(TICKET.replace('4711', '4712')) });
    await page.goto(`${agent.urls.http}/#/runs?ticket=4712`);
    await page.getByText('No runs here.').waitFor();
    await page.getByText('1 refused call, the newest').click();
    await page.getByRole('cell', { name: '4712' }).waitFor();
    await page.getByRole('cell', { name: 'no-such-script', exact: true }).waitFor();
    assert.ok((await page.locator('.refused').innerText()).includes(`no/${EVIL}`));
    assert.equal(await page.title(), 'mediator-agent');
    await picture('refused');
    await page.getByRole('link', { name: 'All' }).click();
  });

  test('shows what a script printed as text: nothing of it runs, hides or turns', async () => {
    await page.getByRole('row', { name: 'evil.sh' }).getByRole('link').first().click();
    await page.getByText('oops').waitFor();
    const shown = await page.locator('#output').innerText();
    assert.ok(shown.includes(EVIL));
    assert.ok(shown.includes('red⟨U+001B⟩]0;title⟨U+0007⟩⟨U+001B⟩[2J⟨U+202E⟩gnp.exe⟨U+0000⟩'), shown);
    assert.equal(await page.title(), 'mediator-agent');
    assert.equal(await page.locator('#output img, #output script').count(), 0);
    await page.getByRole('heading', { name: 'exit 3' }).waitFor();
    await picture('run');
  });

  test('shows output while it comes', async () => {
    const run = await begin('slow');
    await page.goto(`${agent.urls.http}/#/run/${run}`);
    await page.locator('#output').getByText('first').waitFor();
    assert.ok(!(await page.locator('#output').innerText()).includes('second'));
    agent.script('open.sh', `#!/bin/bash\ntouch ${agent.dir}/go\n`);
    await invoke(agent, { script: 'open' });
    await page.locator('#output').getByText('second').waitFor();
    await page.getByRole('heading', { name: 'exit 0' }).waitFor();
    assert.ok(existsSync(path.join(agent.dir, 'go')));
  });

  test('shows stdout and stderr as they were printed, in one, and marks stderr for eyes and ears', async () => {
    const run = await begin('mixed');
    await page.goto(`${agent.urls.http}/#/run/${run}`);
    const output = page.locator('#output');
    await output.getByText('rule 1 … ').waitFor();
    assert.equal(await output.innerText(), 'reading ticket 4711\nno risk profile\ndefault taken\nrule 1 … ');
    await page.getByRole('heading', { name: 'running' }).waitFor();
    await page
      .locator('dt', { hasText: /^stdout$/ })
      .locator('+ dd')
      .getByText('31 B')
      .waitFor();
    writeFileSync(path.join(agent.dir, 'on'), '');
    await output.getByText(', rule 2 done').waitFor();
    assert.equal(await output.innerText(), 'reading ticket 4711\nno risk profile\ndefault taken\nrule 1 … in vain, rule 2 done\n');
    assert.deepEqual(await output.locator('.stderr').allInnerTexts(), ['no risk profile\ndefault taken', 'in vain']);
    // As a text, because the types of a browser are not those of these tests.
    const look = (where: string, name: string): Promise<string> =>
      page.evaluate<string>(`getComputedStyle(document.querySelector('${where}')).${name}`);
    assert.notEqual(await look('#output .stderr', 'color'), await look('#output', 'color'));
    assert.equal(await look('#output .stderr', 'borderLeftWidth'), '3px');
    assert.equal(await look('#output .stderr', 'boxDecorationBreak'), 'clone');
    assert.match(
      await output.ariaSnapshot(),
      /reading ticket 4711 stderr: no risk profile default taken rule 1 … stderr: in vain, rule 2 done/,
    );
    await page.getByRole('heading', { name: 'exit 0' }).waitFor();
    await picture('mixed');
  });

  test('shows the end of much output, and where something is missing', async () => {
    const { run = '' } = await invoke(agent, { script: 'much' });
    await page.goto(`${agent.urls.http}/#/run/${run}`);
    const output = page.locator('#output');
    await output.getByText('late').waitFor();
    const text = await output.innerText();
    assert.match(text, /^early\n737\.9 kB of stdout before this are not shown\n[0-9\n]+\nlate\n$/);
    await page.getByText(`mediator-agent runs logs ${run} prints it`).waitFor();
    await picture('much');
  });

  test('follows the end of what comes, however quickly', async () => {
    agent.script('steps.sh', '#!/bin/bash\nfor ((n = 0; n < 400; n += 1)); do printf "%s\\n" {1..5}; sleep 0.005; done\necho done\n');
    await page.goto(`${agent.urls.http}/#/run/${await begin('steps')}`);
    await page.locator('#output').getByText('done').waitFor();
    const below =
      "(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)(document.querySelector('#output'))";
    await until('the end is in sight', async () => (await page.evaluate<number>(below)) < 1, 3000);
  });

  test('keeps no more than the end while much output comes', async () => {
    const run = await begin('much', ['more']);
    await until(
      'what comes first is kept',
      () => statSync(agent.spoolFile(run, 'stderr'), { throwIfNoEntry: false })?.size === 'early\nlate\n'.length,
    );
    await page.goto(`${agent.urls.http}/#/run/${run}`);
    const output = page.locator('#output');
    await output.getByText('late').waitFor();
    assert.match(
      await output.innerText(),
      /^early\n737\.9 kB of stdout before this are not shown\n/,
      'it does not begin at the first byte',
    );
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download stdout' }).click();
    const whole = readFileSync(await (await saved).path());
    assert.ok(whole.equals(readFileSync(agent.spoolFile(run, 'stdout'))) && whole.length === 1_000_000);
    writeFileSync(path.join(agent.dir, 'more'), '');
    await page.getByRole('heading', { name: 'exit 0' }).waitFor();
    await until('all of it is read', async () => (await page.getByText('as it comes').count()) === 0);
    const text = await output.innerText();
    assert.ok(text.length <= 600_000 && !text.includes('late'), `${text.length} characters`);
    await page.getByText(`mediator-agent runs logs ${run} prints it`).waitFor();
  });

  test('keeps no more than the end of what switches all the time', async () => {
    agent.script('both.sh', '#!/bin/bash\nyes o | head -n 6000\nyes e | head -n 6000 >&2\n');
    const { run = '' } = await invoke(agent, { script: 'both' });
    const records = Array.from({ length: 12_000 }, (_, index) => 4 + (index % 2));
    writeFileSync(agent.spoolFile(run, 'order'), Uint32Array.from(records));
    await page.goto(`${agent.urls.http}/#/run/${run}`);
    await page.getByText(`mediator-agent runs logs ${run} prints it`).waitFor();
    await until('all of it is read', async () => (await page.getByText('as it comes').count()) === 0);
    assert.equal(await page.locator('#output').innerText(), 'o\ne\n'.repeat(2000));
  });

  test('cancels a run, and runs one again with the same input', async () => {
    const run = await begin('wait');
    await page.goto(`${agent.urls.http}/#/run/${run}`);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('heading', { name: 'cancelled' }).waitFor();
    const [closed] = await agent.runs('script=close-ticket');
    await page.goto(`${agent.urls.http}/#/run/${closed?.id ?? ''}`);
    await page.getByRole('button', { name: 'Rerun' }).click();
    const again = await until('there are two runs', async () => {
      const runs = await agent.runs('script=close-ticket');
      return runs.length === 2 && runs;
    });
    await page
      .getByText(again[0]?.id ?? '')
      .first()
      .waitFor();
    await page.locator('#output').getByText('ticket closed').waitFor();
  });

  test('shows scripts with what is wrong with them, tasks, keys without secrets, and the plot', async () => {
    await page.goto(`${agent.urls.http}/#/scripts`);
    await page.getByText('missing-interpreter').waitFor();
    await page.locator('summary', { hasText: 'evil.sh' }).click();
    await page.getByRole('link', { name: 'its runs' }).waitFor();
    await page.locator('details[open]').getByText('90.0 s').waitFor();
    await page.locator('details[open]').getByText('memory 512.0 MB').waitFor();
    await picture('scripts');
    await page.goto(`${agent.urls.http}/#/tasks`);
    await page.getByRole('cell', { name: 'broken', exact: true }).waitFor();
    const heading = await page.getByRole('columnheader', { name: 'Trigger' }).boundingBox();
    assert.ok(heading !== null && heading.height < 40, 'a long problem takes the room of the other columns');
    await picture('tasks');
    await page.goto(`${agent.urls.http}/#/keys`);
    await page.getByRole('cell', { name: agent.key.id }).waitFor();
    assert.ok(!(await page.content()).includes(agent.key.secret));
    await picture('keys');
    await page.goto(`${agent.urls.http}/#/runs`);
    await page.getByText('runs, 2 of them failed').waitFor();
    assert.ok((await page.locator('.plot rect.failed').count()) >= 1);
    await picture('runs');
  });

  test('gives a page of another port nothing, although the browser sends its cookie there', async () => {
    const other = createServer((_request, response) => response.setHeader('content-type', 'text/html').end('<title>other</title>'));
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    assert.ok(address !== null && typeof address !== 'string');
    const tab = await page.context().newPage();
    await tab.goto(`http://127.0.0.1:${address.port}/`);
    const runs = (await agent.runs()).length;
    const [run] = await agent.runs('script=close-ticket');
    const tried = await tab.evaluate(
      async ([base = '', id = '']) => {
        const attempt = (path: string, init: RequestInit): Promise<string> =>
          fetch(`${base}${path}`, { ...init, credentials: 'include' }).then(
            (response) => `${response.type} ${response.status}`,
            () => 'refused',
          );
        return [
          await attempt(`/api/runs/${id}/rerun`, { method: 'POST', mode: 'no-cors' }),
          await attempt(`/api/runs/${id}/rerun`, { method: 'POST', headers: { 'x-mediator-csrf': 'x' } }),
          await attempt('/api/runs', {}),
        ];
      },
      [agent.urls.http, run?.id ?? ''],
    );
    assert.deepEqual(tried.slice(1), ['refused', 'refused']);
    assert.equal((await agent.runs()).length, runs);
    await tab.close();
    other.close();
  });

  test('ends the session when it is asked to, and had no fault in all of this', async () => {
    await page.getByRole('button', { name: 'Log out' }).click();
    await page.getByLabel('Token').waitFor();
    await page.reload();
    await page.getByLabel('Token').waitFor();
    assert.deepEqual(faults, []);
  });
});
