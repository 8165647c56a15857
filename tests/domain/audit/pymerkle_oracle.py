"""leaves on standard input -> roots and proofs of pymerkle on standard output, as JSON.

A program of its own: pymerkle is under the GPL, so it judges our trees from another process and nothing imports it.
"""

import json
import sys

from pymerkle import InmemoryTree


def main() -> None:
    leaves = [bytes.fromhex(leaf) for leaf in json.load(sys.stdin)]
    # Its default hashing prefixes leaves with 0x00 and nodes with 0x01, as RFC 6962 does.
    tree = InmemoryTree("sha256")
    tree.append_entries(leaves)
    sizes = range(1, len(leaves) + 1)
    json.dump(
        {
            "roots": [tree.get_root(size).hex() for size in sizes],
            # Its path begins with the leaf hash itself, and it counts leaves from one.
            "inclusion": {
                f"{index}/{size}": [h.hex() for h in tree.prove_inclusion(index + 1, size).path[1:]]
                for size in sizes
                for index in range(size)
            },
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
