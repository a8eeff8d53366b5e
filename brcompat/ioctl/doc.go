// Package ioctl knows the ioctls by which programs manage Linux bridges: it
// decodes what a caller asks for, out of the caller's memory and in the
// caller's binary interface, and encodes the answers the same way. It calls
// nothing and knows no bridge: Decode gives a Request, and the Put methods of
// the Request write an answer where the caller wants it.
//
// There are three generations, and brctl uses all of them:
//
//   - SIOCBRADDBR, SIOCBRDELBR, SIOCBRADDIF, SIOCBRDELIF: one thing each;
//   - SIOCGIFBR and SIOCSIFBR: three words, the first of them an operation,
//     on no bridge in particular;
//   - SIOCDEVPRIVATE: a struct ifreq that names a bridge and points to four
//     words, the first of them an operation.
//
// A word is 4 or 8 bytes and a struct ifreq 32 or 40, as the caller's machine
// has it. Errors are those that a kernel bridge gives for the same mistake: a
// bad pointer is EFAULT, an operation that is not there EOPNOTSUPP, too long a
// list ENOMEM, a negative number of ports EINVAL.
//
// # Caveats
//
// The answer to Decode is a copy. Memory that the caller changes afterwards
// changes nothing about it.
//
// SIOCDEVPRIVATE belongs to whatever driver the named device has. Whoever uses
// this package first makes sure that the name is that of a bridge of ours.
package ioctl
