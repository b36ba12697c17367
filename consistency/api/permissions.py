"""Permission of an action: every client reads, a person with the permission acts."""

from typing import Any

from django.db import OperationalError
from django.db.models import Model
from rest_framework.permissions import BasePermission
from rest_framework.request import Request


class MayAct(BasePermission):
    """Require the permission that `view.required_permissions` names for the action. API keys have none."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Return False without the permission. Raises OperationalError in an outage."""
        permission = view.required_permissions.get(view.action)
        if permission is None or request.user.has_perm(permission):
            return True
        # In an outage a signed token is enough to read. The token does not hold the permissions of its user.
        if request.user.pk is not None and not isinstance(request.user, Model):
            raise OperationalError("the permissions of the user cannot be read")
        self.message = f"This needs the permission {permission}; an API key only reads."
        return False
