#!/usr/bin/perl
# A form as Perl programs read it, uploads included.
use strict;
use warnings;
use CGI;
use Digest::MD5;

my $form = CGI->new;
my $text = '';
for my $name (sort $form->multi_param) {
    $text .= "$name=" . join('|', map { "$_" } $form->multi_param($name)) . "\n";
}
if (my $file = $form->upload('file')) {
    binmode $file;
    my $sum = Digest::MD5->new->addfile($file)->hexdigest;
    $text .= "md5=$sum type=" . ($form->uploadInfo($form->param('file'))->{'Content-Type'} // '') . "\n";
}
print $form->header(-type => 'text/plain', -charset => 'utf-8', -cookie => [
    $form->cookie(-name => 'one', -value => 1), $form->cookie(-name => 'two', -value => 2)]);
print $text, "method=", $form->request_method, " path=", $form->path_info, "\n";
