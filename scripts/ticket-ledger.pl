#!/usr/bin/env perl
# Keeps a ledger of events: one line of CSV for each, in tickets.csv.
#
# SecureChange trigger, for any events.
# stdin      the ticket XML, one line
# cwd        the script's own state folder (`cwd: state` in ticket-ledger.yaml), which persists
# exit code  0 written, or the Test button; 1 not written, and SecureChange may try again
use strict;
use warnings;
use Fcntl qw(:flock);
use POSIX qw(strftime);

my $LEDGER = 'tickets.csv';

my $ticket = <STDIN>;
fail('stdin is empty, where a ticket XML is due') unless defined $ticket;

# What the Test button sends: there is no ticket
if ($ticket =~ m{^\s*<ticket_info\s*/>\s*$}) {
    print "test: ticket-ledger was reached, nothing was written\n";
    exit 0;
}

my ($id) = $ticket =~ m{<ticket_info(?:\s[^>]*)?>\s*<id>(\d+)</id>} or fail('no <ticket_info><id> on stdin');
my ($subject) = $ticket =~ m{<subject>([^<]*)</subject>};
my ($stage)   = $ticket =~ m{<(?:current_stage|stage)>\s*<id>\d+</id>\s*<name>([^<]*)</name>};
my $time      = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime);

append(map { csv($_) } $time, $ENV{SCW_EVENT}, $id, unescape($subject), unescape($stage), $ENV{MEDIATOR_RUN});
print "ticket $id written to $LEDGER\n";

# Several runs may want to write at once: whoever has the lock writes its line, header included, as a whole.
sub append {
    my $line = join(',', @_) . "\n";
    open(my $file, '>>', $LEDGER) or fail("cannot open $LEDGER: $!");
    flock($file, LOCK_EX)         or fail("cannot lock $LEDGER: $!");
    $line = "time,event,ticket,subject,stage,run\n$line" unless -s $file;
    print {$file} $line or fail("cannot write $LEDGER: $!");
    close($file)        or fail("cannot write $LEDGER: $!");    # a full disk shows only here
}

# A field in quotes. A requester chooses the subject: = + - @ in front would make it a formula in a spreadsheet.
sub csv {
    my ($value) = @_;
    $value = '' unless defined $value;
    $value =~ s/^(?=[=+\-@\t\r])/'/;
    $value =~ s/"/""/g;
    return qq{"$value"};
}

sub unescape {
    my ($text) = @_;
    return '' unless defined $text;
    my %character = (lt => '<', gt => '>', quot => '"', apos => "'", amp => '&');
    $text =~ s/&(lt|gt|quot|apos|amp);/$character{$1}/g;
    return $text;
}

sub fail {
    print STDERR "ticket-ledger: $_[0]\n";
    exit 1;
}
