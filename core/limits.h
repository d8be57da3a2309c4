/*
 * limits: every count, depth, length and time that a peer can drive, in one
 * place. Past a limit there is a clear error; nothing is lost, nothing crashes.
 */
#ifndef CORE_LIMITS_H
#define CORE_LIMITS_H

/* SMTP (RFC 5321 4.5.3.1; the RFC's minimum in brackets) */
#define LIMIT_COMMAND_LINE        4096	/* octets with CRLF [512] */
#define LIMIT_COMMAND_DISCARD     65536 /* of a command line that is too long, then the connection ends */
#define LIMIT_REPLY_LINE          4096	/* of a mailbox server [512] */
#define LIMIT_REPLY_LINES         128	/* in one reply */
#define LIMIT_TEXT_LINE           65536 /* octets of a message's line [1000] */
#define LIMIT_LOCAL_PART          256 /* [64]; VERP and SRS go beyond it */
#define LIMIT_DOMAIN              255
#define LIMIT_PATH                1024 /* address in MAIL or RCPT [256] */
#define LIMIT_RECIPIENTS          100  /* a transaction [100]; configurable below it */
#define LIMIT_BAD_COMMANDS        20   /* a session, then 421 */
#define LIMIT_BAD_RECIPIENTS      20   /* a session, then 421 */
#define LIMIT_MESSAGES_A_SESSION  1000
#define LIMIT_COMMANDS_A_SESSION  20000
#define LIMIT_BDAT_CHUNKS         10000 /* a message */
#define LIMIT_TRICKLE_OCTETS      256 /* of a message, that must come in each data_timeout */
#define LIMIT_REFUSED_RECIPIENTS  1000 /* of a transaction, for whatever reason, then 421 */
#define LIMIT_PROXY_V1_LINE       107
#define LIMIT_PROXY_V2_BYTES      2048

/* Messages */
#define LIMIT_MESSAGE_BYTES       (1024u << 20) /* whatever the configuration says */
#define LIMIT_HEADER_COUNT        1000
#define LIMIT_HEADER_BYTES        (256u << 10) /* the whole header block that is parsed */
#define LIMIT_PART_HEADERS        10000 /* of all parts together, without the message's own */
#define LIMIT_RECEIVED_COUNT      100 /* RFC 5321 6.3 */
#define LIMIT_MIME_DEPTH          32
#define LIMIT_MIME_PARTS          1000
#define LIMIT_BOUNDARY_BYTES      512
#define LIMIT_PARAM_COUNT         64 /* of one Content-Type */
#define LIMIT_CHARSET_BYTES       (8u << 20) /* converted from one charset at a time */
#define LIMIT_TEXT_BYTES          (1u << 20) /* decoded text that rules and the classifier see */
#define LIMIT_TEXT_SOURCE_BYTES   (8u << 20) /* octets of a text part that are read for it */
#define LIMIT_HTML_DEPTH          128 /* open elements that are remembered */
#define LIMIT_URLS                500
#define LIMIT_URL_BYTES           2048
#define LIMIT_ADDRESSES           200 /* in one header */
#define LIMIT_ADDED_HEADER_BYTES  24576 /* our lines on top of a message */
#define LIMIT_FILTER_HEADER_BYTES 4096 /* of them, what filters propose */
#define LIMIT_SIGNATURE_BYTES     10240 /* and its signatures, or its ARC set */

/* Evaluation */
#define LIMIT_TRANSACTION_MEMORY  (64u << 20)
#define LIMIT_CONNECTION_MEMORY   (1u << 20)
#define LIMIT_ATTACHED_LESSONS    50 /* messages attached to one that are learned */
#define LIMIT_FINDINGS            256
#define LIMIT_ROUNDS              40  /* evaluate, answer, evaluate again */
#define LIMIT_DNS_QUESTIONS       100 /* a message: all filters; sender authentication alone 40 */
#define LIMIT_AUTH_DNS_QUESTIONS  40 /* with their alias steps: what a sender's zones can make us ask */
#define LIMIT_DMARC_DNS_QUESTIONS 8 /* of those 40 that SPF, keys and the rest leave to DMARC's walk */
#define LIMIT_DNS_RECORDS         128 /* of one answer that are kept */
#define LIMIT_RESOLVER_QUESTIONS  4000 /* being asked at once, for all fronts */
#define LIMIT_DMARC_RUA           2000 /* octets; what is beyond is not reported to */
#define LIMIT_DNS_ALIASES         8 /* CNAMEs behind one another: each is a question more */
#define LIMIT_DKIM_SIGNATURES     10
#define LIMIT_ARC_SETS            50 /* RFC 8617 4.2.1: in one chain */
#define LIMIT_ARC_SIGNATURES      10 /* verified: the newest message signature, and each seal */
#define LIMIT_SPF_DNS_QUESTIONS   24 /* of those 40: 8 includes and 2 mx of 5 hosts are 21 */
#define LIMIT_SPF_TERMS           10
#define LIMIT_SPF_VOIDS           2
#define LIMIT_SPF_RECORD_BYTES    8192

#define LIMIT_RULES               10000 /* of all files together */
#define LIMIT_RULES_TEXT_BYTES    (256u << 10) /* of one text that an expression is tried on */
#define LIMIT_RULES_HARD          8 /* expressions of a message that may run into their limits */

/* Between our own processes */
#define LIMIT_IPC_INLINE          65000	/* octets in a packet; larger goes by memfd */
#define LIMIT_IPC_BYTES           (64u << 20)
#define LIMIT_IPC_WINDOW          1024 /* outstanding requests of a channel */
#define LIMIT_CONFIG_BYTES        (4u << 20)
#define LIMIT_CONFIG_ERRORS       50
#define LIMIT_FACTS_BYTES         (16u << 20)

#endif
