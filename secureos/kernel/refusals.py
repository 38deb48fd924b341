"""Why an image, a policy or a key is not accepted. Nothing was started when one of these is raised.

KernelError
├── StateUnavailable       the folder for keys and signatures cannot be used
├── KeyUnusable            a key file is not there, not a key, or open to others
└── ImageError
    └── TrustError         what is to be started is not what somebody trusted has signed
        ├── Unsigned           there is no manifest, or a policy has no signature
        ├── MalformedManifest  manifest or signature cannot be read: size, depth, keys, values
        ├── BadSignature       the signature does not belong to the text
        ├── UnknownKey         signed by a key that is not trusted here
        ├── ExpiredKey         signed by a trusted key whose last day is over
        ├── ExpiredImage       the last day that the manifest gives itself is over
        ├── FileMissing        a file of the manifest is not there
        ├── FileExtra          a file is there that the manifest does not name
        ├── FileChanged        a file has another hash
        ├── UnknownProgram     a program is registered that the manifest does not name, or named and not registered
        ├── WrongProgram       a program has another hash
        ├── WrongClass         a program is registered for a task of another class than its own
        ├── Downgraded         an older version than one that was started here before
        ├── OtherImage         the policy was signed for another image
        └── PolicyChanged      the policy is not the one that was signed
"""

from __future__ import annotations

from secureos.kernel.errors import ImageError, KernelError


class StateUnavailable(KernelError):
    """The state folder cannot be used; the message says why and what to set."""


class KeyUnusable(KernelError):
    """A key file cannot be used."""


class TrustError(ImageError):
    """An image or a policy is not what somebody trusted has signed."""


class Unsigned(TrustError):
    """There is no manifest, or a policy has no signature, where one is needed."""


class MalformedManifest(TrustError):
    """A manifest or a signature cannot be read."""


class BadSignature(TrustError):
    """The signature does not belong to the text."""


class UnknownKey(TrustError):
    """The key that signed is not trusted here."""


class ExpiredKey(TrustError):
    """The key that signed is trusted no longer."""


class ExpiredImage(TrustError):
    """The manifest's own last day is over."""


class FileMissing(TrustError):
    """A file of the manifest is not there."""


class FileExtra(TrustError):
    """A file is there that the manifest does not name."""


class FileChanged(TrustError):
    """A file is not the one that was signed."""


class UnknownProgram(TrustError):
    """Programs and manifest do not name the same classes."""


class WrongProgram(TrustError):
    """A program's source is not the one that was signed."""


class WrongClass(TrustError):
    """A program is registered for a task whose class is another's."""


class Downgraded(TrustError):
    """A newer version was started here before."""


class OtherImage(TrustError):
    """The policy belongs to another image."""


class PolicyChanged(TrustError):
    """The policy is not the one that was signed."""
