import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { Age, Duration, Size, formatDuration, formatSize } from '../../../agent/config/units.ts';

suite('durations', () => {
  test('have a unit, and become milliseconds', () => {
    const known = { '0ms': 0, '500ms': 500, '120s': 120_000, '2m': 120_000, '1h': 3_600_000, '7d': 604_800_000 };
    for (const [text, milliseconds] of Object.entries(known)) assert.equal(Duration.parse(text), milliseconds);
  });
  test('without a unit, with a fraction, a sign, a space or another unit are refused', () => {
    for (const text of ['', '120', 120, '1.5s', '-1s', '1 s', '1S', '1w', '1e3s', 's', '1s ', '٣s', null]) {
      assert.ok(!Duration.safeParse(text).success, String(text));
    }
  });
  test('longer than a timer can be are refused: Node would fire it at once', () => {
    assert.equal(Duration.parse('24d'), 24 * 86_400_000);
    for (const text of ['25d', '30d', '999999999h', '2147483648ms']) assert.ok(!Duration.safeParse(text).success, text);
  });
});

suite('ages', () => {
  test('are durations that may be longer than a timer can be', () => {
    assert.equal(Age.parse('400d'), 400 * 86_400_000);
    for (const text of ['400', '1y', '', null]) assert.ok(!Age.safeParse(text).success, String(text));
  });
});

suite('sizes', () => {
  test('become bytes, with decimal and binary units', () => {
    const known: [string | number, number][] = [
      [0, 0],
      [512, 512],
      ['512', 512],
      ['512B', 512],
      ['64KiB', 65_536],
      ['64 MiB', 67_108_864],
      ['1GiB', 1_073_741_824],
      ['10kB', 10_000],
      ['10KB', 10_000],
      ['10MB', 10_000_000],
      ['1GB', 1_000_000_000],
    ];
    for (const [text, bytes] of known) assert.equal(Size.parse(text), bytes);
  });
  test('with a unit that does not exist are refused, and never become 0', () => {
    for (const text of ['64kiB', '64K', '64Mi', '64M', '64TB', 'MiB', '-1', '1.5MiB', '', ' 1', 1.5, -1, null, '64mib']) {
      assert.ok(!Size.safeParse(text).success, String(text));
    }
  });
});

suite('what is shown of them', () => {
  test('can be written so', () => {
    for (const text of ['0ms', '1ms', '1500ms', '90s', '2m', '1h', '25h', '7d']) assert.equal(formatDuration(Age.parse(text)), text);
    for (const text of ['0B', '1B', '1000B', '1KiB', '1500KiB', '64MiB', '1GiB', '1025MiB'])
      assert.equal(formatSize(Size.parse(text)), text);
  });
});
