/** The script that runs under chaos. It writes down in its ledger what it was given, what it printed, and how far it came. */

/** @param ledgers the folder of the ledgers @param pool the file whose slices it prints */
export function ledgerScript(ledgers: string, pool: string): string {
  return `#!/usr/bin/perl
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use POSIX qw(setsid);
my ($id, $out_at, $out_size, $err_at, $err_size, $parts, $pause, $code, $bait, $stubborn, $hangs) = @ARGV;

open my $ledger, '>>', "${ledgers}/$id" or die "no ledger: $!";
sub note { defined syswrite $ledger, join(' ', @_) . "\\n" or die "ledger: $!" }
note('started', $ENV{MEDIATOR_RUN});
$SIG{TERM} = 'IGNORE' if $stubborn;

my $escaped = 0;
if ($bait) {
  $escaped = fork;
  if (!$escaped) { setsid; exec 'sleep', '86400' }
}

binmode STDIN;
my $stdin = do { local $/; <STDIN> } // '';
note('stdin', length $stdin, sha256_hex($stdin));

open my $pool, '<:raw', '${pool}' or die "no pool: $!";
sub slice { my ($at, $size) = @_; seek $pool, $at, 0; my $text = ''; read $pool, $text, $size; return $text }
my $out = slice($out_at, $out_size);
my $err = slice($err_at, $err_size);
sub put {
  my ($to, $text, $part) = @_;
  my $from = int(length($text) * $part / $parts);
  my $end = int(length($text) * ($part + 1) / $parts);
  while ($from < $end) { $from += syswrite($to, $text, $end - $from, $from) // die "cannot print: $!" }
}
for my $part (0 .. $parts - 1) {
  put(\\*STDOUT, $out, $part);
  put(\\*STDERR, $err, $part);
  select undef, undef, undef, $pause / 1000 if $pause;
}
select undef, undef, undef, 86400 while $hangs;
kill 'KILL', $escaped if $escaped;
waitpid $escaped, 0 if $escaped;
note('finished', $code, length $out, sha256_hex($out), length $err, sha256_hex($err));
exit $code;
`;
}
