"""A lab's registry of container images: what images are called there, and the way of one there and back."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import UsageError
from labctl.testing.cluster import Cluster
from labctl.testing.testlet import PATIENCE

# Whatever becomes of it, the image that lies between the registry and the bundle does not stay.
_PULL = """\
set -e
images=$(mktemp -d {bundle}.XXXXXX)
trap 'rm -rf "$images"' EXIT
skopeo copy --quiet {source} "oci:$images:image"
umoci unpack --rootless --image "$images:image" {bundle}
chmod a+rx {bundle}
chmod a+r {bundle}/config.json
realpath {bundle}
"""


@dataclass(frozen=True)
class Registry:
    """The registry of a cluster.

    Attributes:
        cluster: whose it is; jobs of it run in what `pull` makes: ``cluster.submit(..., container=bundle)``.
    """

    cluster: Cluster

    @property
    def name(self) -> str:
        """What names of images begin with on the nodes, such as ``cpu-0:5000``.

        Raises:
            UsageError: the cluster has no registry.
        """
        found = self.cluster.get_config()
        if not found.registry:
            raise UsageError(f"{found.cluster} has no registry", hint="--set services.registry=true")
        return found.registry

    @property
    def url(self) -> str:
        """Where clients outside of the cluster reach it."""
        return self.cluster.get_config().registry_url

    @property
    def ca(self) -> Path | None:
        """The file here of the authority that they have to trust."""
        return self.cluster.get_config().registry_ca

    def reference(self, image: str) -> str:
        """An image by its whole name: ``app:1`` is ``docker://cpu-0:5000/app:1``."""
        return f"docker://{self.name}/{image}"

    def push(self, source: str, image: str, *, user: str = "", timeout: float = PATIENCE) -> str:
        """Put an image into the registry, from the controller.

        Args:
            source: where it is there, as skopeo says it: ``oci:images:app``, ``docker-archive:app.tar``.
            image: what it shall be called, such as ``app:1``.
            user: who does it; by default the one whose jobs `Cluster.submit` submits.
            timeout: seconds that it may take.

        Returns:
            Its whole name, see `reference`.

        Raises:
            RemoteError: it failed; with skopeo's words.
        """
        target = self.reference(image)
        self.cluster.execute(
            shlex.join(["skopeo", "copy", "--quiet", source, target]), user=user, timeout=timeout
        )
        return target

    def pull(self, image: str, bundle: str, *, user: str = "", timeout: float = PATIENCE) -> str:
        """Make a bundle of an image of the registry, for jobs to run in.

        Args:
            image: what it is called, such as ``app:1``.
            bundle: a folder that is not there yet, such as ``/data/bundles/app``. In a home, which is private, Slurm
                finds it on the NFS server alone.
            user: who does it; by default the one whose jobs `Cluster.submit` submits.
            timeout: seconds that it may take.

        Returns:
            The bundle's absolute path, for ``--container``.

        Raises:
            RemoteError: it failed; with the words of skopeo or umoci.
        """
        words = {"source": shlex.quote(self.reference(image)), "bundle": shlex.quote(bundle)}
        done = self.cluster.execute(_PULL.format(**words), user=user, timeout=timeout)
        return str(done.stdout).strip()
