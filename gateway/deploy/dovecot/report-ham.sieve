# A message was moved or copied out of the Junk folder: it is learned as ham. Into Trash says
# nothing: that is how people tidy up.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

if environment :is "imap.mailbox" ["Trash", "Deleted Items", "Deleted Messages"] {
	stop;
}
if environment :matches "imap.user" "*" {
	set "user" "${1}";
}
pipe :copy "gatepost-learn" ["ham", "${user}"];
