/**
 * Ends everything that a run has started: TERM, a grace period, KILL, until nothing is left. Members of the tree are found in /proc by session,
 * group, descent, and a variable in their environment that names the run, which also finds daemons that left session and parent behind; and, where
 * the run has a control group, there, which finds everything.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Group } from './group.ts';

const POLL = 20;
/** After KILL, a process that is still there sleeps in the kernel; nobody can do more. */
const KILL_PATIENCE = 5000;

/** What is known of a run's processes. */
export interface Tree {
  /** The first process, which leads a session and a group of its own; undefined if nobody knows it, or its id may be another's by now. */
  pid: number | undefined;
  /** `NAME=VALUE` in the environment of every member that did not clean its own. */
  mark: string;
  group?: Group | undefined;
}

/** Whether a process carries the mark. One that does not may be a stranger with the process id of a run that ended long ago. */
export function isMarked(pid: number, mark: string): boolean {
  return read(`/proc/${pid}/environ`).split('\0').includes(mark);
}

/** The process ids of all living members. We are never one, whoever started us. */
export function membersOf({ pid, mark, group }: Tree): number[] {
  const members = new Set<number>(group?.members());
  const others: Process[] = [];
  for (const process of processes()) {
    if (members.has(process.pid)) continue;
    if (process.pid === pid || process.group === pid || process.session === pid) members.add(process.pid);
    else others.push(process);
  }
  for (const { pid: other } of others) if (isMarked(other, mark)) members.add(other);
  let size: number;
  do {
    size = members.size;
    for (const process of others) if (members.has(process.parent)) members.add(process.pid);
  } while (members.size > size);
  return [...members];
}

/**
 * @param grace milliseconds between TERM and KILL
 * @returns the members that outlived even KILL; empty when the tree is gone
 */
export async function endTree(tree: Tree, grace: number): Promise<number[]> {
  await tree.group?.vacated();
  signal(membersOf(tree), 'SIGTERM');
  let left = await waitUntilGone(tree, grace);
  const deadline = performance.now() + KILL_PATIENCE;
  while (left.length > 0 && performance.now() < deadline) {
    tree.group?.kill();
    signal(left, 'SIGKILL');
    left = await waitUntilGone(tree, POLL);
  }
  return left;
}

async function waitUntilGone(tree: Tree, patience: number): Promise<number[]> {
  const deadline = performance.now() + patience;
  let left = membersOf(tree);
  while (left.length > 0 && performance.now() < deadline) {
    await delay(Math.min(POLL, Math.max(1, deadline - performance.now())));
    left = membersOf(tree);
  }
  return left;
}

function signal(pids: number[], name: 'SIGTERM' | 'SIGKILL'): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // gone in the meantime
    }
  }
}

interface Process {
  pid: number;
  parent: number;
  group: number;
  session: number;
}

function* processes(): Generator<Process> {
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const stat = read(`/proc/${entry}/stat`);
    // proc(5): pid (comm) state ppid pgrp session …; comm may hold spaces and brackets
    const [state, parent, group, session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (state === undefined || state === '' || state === 'Z' || state === 'X') continue;
    yield { pid: Number(entry), parent: Number(parent), group: Number(group), session: Number(session) };
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
