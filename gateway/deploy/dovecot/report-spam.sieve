# A message was moved or copied into the Junk folder: it is learned as spam.
require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

if environment :matches "imap.user" "*" {
	set "user" "${1}";
}
pipe :copy "gatepost-learn" ["spam", "${user}"];
